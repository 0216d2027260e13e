package cache

import "testing"

// The numbers are times as of Cache.now, in nanoseconds.
func TestABoundOfOpenFilesIsLearnedFromARefusalAndBelievedForAWhile(t *testing.T) {
	const learned = 200
	r := fileRoom{leaving: 5}
	if !r.refused(100, learned) || r.most != 5 {
		t.Fatalf("with five files open a refusal teaches a bound of %d", r.most)
	}
	r.leaving = 3
	if !r.refused(learned-1, learned+100) || r.most != 5 {
		t.Errorf("a refusal that was on its way with the first makes the bound %d", r.most)
	}
	if !r.has(learned+100, false) {
		t.Error("there is no room for a fourth file of five")
	}
	r.leaving = 5
	if r.has(learned+100, false) {
		t.Error("there is room for a sixth file of five")
	}
	if !r.has(learned+int64(roomKnownFor), false) {
		t.Error("the bound is believed for ever")
	}
}

func TestARefusalWithNoFileOpenTeachesNoBound(t *testing.T) {
	r := fileRoom{freed: 50}
	if r.refused(100, 200) || r.most != 0 {
		t.Errorf("it teaches a bound of %d", r.most)
	}
	if !r.refused(40, 200) {
		t.Error("a file that was closed while it was on its way is not thought of")
	}
}
