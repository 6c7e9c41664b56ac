"""Studies, exports and recorded sets as the two tables that are looked at, and `sweep export`."""
