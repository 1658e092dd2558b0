package builder

// E2 is E1 with dropout of probability p between the hidden dense layer's
// rectifier and the logits.
func E2(classes int, p float64) (*Network, error) {
	return New("e2", ExperimentInput(), append(e1Features(),
		Dropout{Name: "dropout", P: p},
		Dense{Name: "fc2", Units: classes},
	)...)
}
