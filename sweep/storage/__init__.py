"""Where a study is recorded: its database, its folder, its lock."""
