package onnx

import (
	"fmt"
	"reflect"

	"slipway/builder"
)

// withSettings sets fields that differ from their zero value.
func withSettings[L builder.Layer](layer L, settings map[string]any) (L, error) {
	value := reflect.ValueOf(&layer).Elem()
	for name, setting := range settings {
		v := reflect.ValueOf(setting)
		if v.IsZero() || name == "Groups" && setting == 1 || name == "Dilation" && setting == builder.Square(1) {
			continue
		}
		field := value.FieldByName(name)
		if !field.IsValid() {
			return layer, fmt.Errorf("%s has no %s", layer.Kind(), name)
		}
		field.Set(v)
	}
	return layer, nil
}

func groupsOf(layer builder.Conv2D) (int, bool) {
	value := reflect.ValueOf(layer)
	extra := value.FieldByName("PaddingExtra")
	if !extra.IsValid() {
		return 1, layer.Padding != builder.Size{}
	}
	return int(value.FieldByName("Groups").Int()), layer.Padding != builder.Size{} || !extra.IsZero()
}
