Screen.open();
