"""Labels in 3D without an annotator: several labellers, merged, checked against anatomy."""
