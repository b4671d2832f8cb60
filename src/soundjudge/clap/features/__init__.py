"""What frozen CLAPs make of rated clips and texts, computed once for all stages."""
