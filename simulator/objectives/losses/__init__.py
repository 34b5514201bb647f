"""The families of pairwise losses; every module here with OBJECTIVES in it is found."""
