"""Early dynamics in, verdict out: the signals of a trial's window and what they are worth."""
