"""Ranks: started, met, watched, started again."""
