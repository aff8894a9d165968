"""Did it help, is it more robust, does it generalise: arms compared at equal steps, and the report."""
