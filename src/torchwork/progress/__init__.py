"""How a run goes on, for people and programs: bars, lines, a notebook's display, events."""
