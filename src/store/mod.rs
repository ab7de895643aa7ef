//! Layers, images, references, volumes, rootfs drivers.
