"""The bundled image-animation methods, a folder each; `blocks` holds what they share."""
