"""What several tests use: fakes, studies, bases, drivers."""
