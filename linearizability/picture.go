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

// WritePicture writes an HTML page with the core of an illegal history, with the
// partition that is undecided, or with all layers if the verdict is ok: operations on the rows of their clients, the
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

// annotations are what is no operation of the model: kills, with what they cut
// off, and recoveries. They have rows of their own, so that they hide nothing.
func (j *Judgement) annotations() []porcupine.Annotation {
	var all []porcupine.Annotation
	s := j.subject
	for _, kill := range s.h.Kills {
		details := []string{fmt.Sprintf("process %d", kill.Process)}
		for i := range s.h.Operations {
			op := &s.h.Operations[i]
			if op.Client.Process == kill.Process && op.Result.Outcome == Pending {
				details = append(details, fmt.Sprintf("in %s", op.invocation()))
			}
		}
		if kill.Note != "" {
			details = append(details, kill.Note)
		}
		all = append(all, porcupine.Annotation{
			Tag: "kills", Start: kill.Ticket, Description: fmt.Sprintf("kill %d", kill.Process),
			Details:   strings.Join(details, ", "),
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
