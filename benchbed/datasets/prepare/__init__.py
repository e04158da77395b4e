"""From what people download to the clips that papers measured: cut, resized, written once and accounted for."""
