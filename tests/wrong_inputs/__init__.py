"""What a user does wrong, and what they are told: the whole program against wrong inputs of every kind."""
