//! Pixels in, pixels out: decode, resize, heat map, mask, overlay.
