"""What clients asked and were answered, beside the journal; and whether one explains the other."""
