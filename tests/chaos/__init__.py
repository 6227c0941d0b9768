"""Everything that can be killed is killed while eight handhelds work: nothing is lost, nothing counts twice, nothing is stuck."""
