"""Datasets: drawn figures, folders of videos."""
