"""What is known of image formats beyond their decoders: where a file ends, how large it claims to be, how it lies."""
