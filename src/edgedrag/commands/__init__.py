"""The commands of the command line, by what they are for. Each imports its room when it is called."""
