"""How methods make policies; what they need is described beside, in the modules of methods/."""
