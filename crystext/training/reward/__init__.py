"""Fine-tuning by reward: crystals that scored well are drawn more, others less."""
