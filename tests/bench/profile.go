package main

import (
	"context"
)

func (r *rig) profile(ctx context.Context, p *profile, binary, out string) string { return "" }
