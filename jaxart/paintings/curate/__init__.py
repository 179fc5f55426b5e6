"""From a pile of pictures to a data set: duplicates out, artists on one side."""
