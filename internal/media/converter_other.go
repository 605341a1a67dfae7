//go:build !linux

package media

import "context"

const canConfine = false

func (c *Converter) run(context.Context, child) ([]byte, error) { return nil, errPlatform }
