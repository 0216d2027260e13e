package filedata

// SlowIdle is for the tests over a real server.
var SlowIdle = slowIdle
