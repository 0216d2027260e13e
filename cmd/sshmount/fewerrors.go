package main

import (
	"fmt"
	"strings"
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
			var untold int // the last may be such a number itself
			if n, _ := fmt.Sscanf(lines[len(lines)-1], moreErrors, &untold); n == 1 {
				more += untold - 1
			}
			lines = append(lines[:fewErrors], fmt.Sprintf(moreErrors, more))
		}
		all = append(all, lines...)
	}
	return strings.Join(all, "; ")
}

// moreErrors stands in place of errors that are not told one by one, here and where the cache has too many to keep.
const moreErrors = "and %d more: see the log"
