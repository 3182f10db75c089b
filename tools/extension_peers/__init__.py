"""What Gatepost and its peers answer where extensions of the protocol are asked for."""
