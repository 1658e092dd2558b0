package train

import "fmt"

// SettingError says that a setting has a value that it cannot have, or none that goes with the
// others, whatever the network and the sets are.
type SettingError struct {
	// Setting is the path of the setting in Config's JSON, such as schedule.gamma, or sweep.first,
	// sweep.last or sweep.steps of a RateSweep.
	Setting string
	Err     error
}

func (e *SettingError) Error() string { return e.Err.Error() }

func (e *SettingError) Unwrap() error { return e.Err }

// wrongSetting makes a SettingError.
func wrongSetting(setting, format string, args ...any) error {
	return &SettingError{setting, fmt.Errorf(format, args...)}
}

// CheckValues reports the first setting, as a *SettingError, that is wrong in itself or beside the
// others. What depends on a network WithDefaults reports.
func (c Config) CheckValues() error {
	c, err := c.withValues()
	if err != nil {
		return err
	}
	return c.restsAtZero()
}
