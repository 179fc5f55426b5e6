"""Paintings for research: fetched from public places into class folders."""
