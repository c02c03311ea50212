"""Distances between sets of images, through features or pixels: arrays in, numbers out."""
