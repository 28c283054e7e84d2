"""What is read of photos at most; what is opened before a photo is names it too."""

MAX_MEGAPIXELS = 100.0
