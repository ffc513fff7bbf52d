"""The command line: one thin file a verb, imported when it is called."""
