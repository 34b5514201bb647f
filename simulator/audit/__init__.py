"""An exact audit of estimators of policy gradients, in worlds whose every response is listed."""
