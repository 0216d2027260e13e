package main

import (
	"errors"
	"strings"

	"sshmount/cache"
)

// fewErrors is how many of joined errors fit into a line that is still read.
const fewErrors = 5

// oneLine writes errors side by side, and the first few of those that were joined in each. The log has them all.
func oneLine(errs ...error) string {
	var all []string
	for _, err := range errs {
		if err == nil {
			continue
		}
		lines := strings.Split(err.Error(), "\n")
		if more := len(lines) - fewErrors; more > 1 {
			if untold, ok := errors.AsType[cache.MoreErrors](err); ok { // it is the last line
				more += int(untold) - 1
			}
			lines = append(lines[:fewErrors], cache.MoreErrors(more).Error())
		}
		all = append(all, lines...)
	}
	return strings.Join(all, "; ")
}
