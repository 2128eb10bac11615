"""Regions of predictions and annotations, whatever tool drew them: their scores, their doubt, what people changed."""
