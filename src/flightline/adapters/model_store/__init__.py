"""Model files, their manifests and signatures, and the folder that the service loads from."""
