"""Calendar rules: when a schedule fires. No clock is read here: every question brings its moment."""
