"""Preference data: pairs of responses, labelled by gold or a proxy, before training and during it."""
