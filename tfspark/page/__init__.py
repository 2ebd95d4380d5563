"""Pages for people: what a night did, and all nights."""
