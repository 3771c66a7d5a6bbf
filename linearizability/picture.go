package linearizability

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// pictureTimeout bounds the search for the linearizations that are drawn.
const pictureTimeout = 2 * time.Second

// WritePicture writes an HTML page with the partition that is not ok, or with
// all layers if the verdict is ok: operations on the rows of their clients, the
// longest linearizations, what they could not contain, kills and recoveries.
func (j *Judgement) WritePicture(w io.Writer) error {
	model := j.subject.porcupineModel()
	drawn := j.drawn
	if drawn == nil {
		// Porcupine draws partitions as if they were one history, so they may have
		// one model: a world has the trees of all layers.
		var parts [][]porcupine.Operation
		for _, part := range j.subject.partitions() {
			if part.disk {
				parts = append(parts, j.subject.project(part.layers, true))
				drawn = append(drawn, parts[len(parts)-1]...)
			}
		}
		model.Partition = func([]porcupine.Operation) [][]porcupine.Operation { return parts }
	}
	_, info := porcupine.CheckOperationsVerbose(model, drawn, min(j.timeout, pictureTimeout))
	info.AddAnnotations(j.annotations())
	var page strings.Builder
	if err := porcupine.Visualize(model, info, &page); err != nil {
		return err
	}
	title := fmt.Sprintf("<title>afterlock history: %s</title>", j.Verdict)
	_, err := io.WriteString(w, strings.Replace(page.String(), "<title>Porcupine</title>", title, 1))
	return err
}

// annotations are what is no operation of the model: kills, on the rows of those
// that died, and recoveries.
func (j *Judgement) annotations() []porcupine.Annotation {
	var all []porcupine.Annotation
	s := j.subject
	for _, kill := range s.h.Kills {
		killed := 0
		for i := range s.h.Operations {
			op := &s.h.Operations[i]
			if op.Client.Process == kill.Process && op.Result.Outcome == Pending {
				killed++
				all = append(all, porcupine.Annotation{
					ClientId: s.lanes[op.Client], Start: kill.Ticket, Description: "kill",
					Details:   strings.TrimSpace(fmt.Sprintf("process %d, in %s %s", kill.Process, op.invocation(), kill.Note)),
					TextColor: "#ffffff", BackgroundColor: "#a00000",
				})
			}
		}
		all = append(all, porcupine.Annotation{
			Tag: "kills", Start: kill.Ticket, Description: fmt.Sprintf("kill %d", kill.Process),
			Details:   strings.TrimSpace(fmt.Sprintf("%d operations cut off %s", killed, kill.Note)),
			TextColor: "#ffffff", BackgroundColor: "#a00000",
		})
	}
	for i := range s.h.Operations {
		if op := &s.h.Operations[i]; op.Kind == Recover {
			all = append(all, porcupine.Annotation{
				Tag: "recoveries", Start: op.Call, End: min(s.h.until(op), s.h.End),
				Description: fmt.Sprintf("recover by %v", op.Client), Details: words(op),
				BackgroundColor: "#cfe8cf",
			})
		}
	}
	return all
}
