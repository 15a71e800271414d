"""What a layer computes, forward and back: products, activations, output losses."""
