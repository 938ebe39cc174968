"""Recheck published claims by number: the book's section and the papers the menu rests on."""
