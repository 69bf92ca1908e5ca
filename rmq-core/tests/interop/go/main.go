// Scenarios of the official Go client against a running cluster. Prints one line for each,
// "ok NAME" or "FAIL NAME REASON", and ends with status 1 when one failed.
//
//	-n NAMESRV -brokers ADDR,ADDR [-only a,b] [-threads 4] [-log FILE]
//
// With "traffic" as its first argument it is one client of a run with faults (traffic.go).
package main

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2/rlog"
)

type scenario struct {
	name  string
	limit time.Duration
	run   func(s *scope)
}

func scenarios() []scenario {
	all := []scenario{
		{"push_orderly", time.Minute, pushOrderly},
		{"orderly_hand_over", 4 * time.Minute, orderlyHandOver},
		{"rebalance", 90 * time.Second, rebalance},
		{"push_restart", time.Minute, pushRestart},
		{"retry_concurrent", 2 * time.Minute, retryConcurrent},
		{"retry_dead_letter", 2 * time.Minute, retryDeadLetter},
		{"delay_levels", time.Minute, delayLevels},
		{"transaction_ends", time.Minute, transactionEnds},
		{"transaction_other_producer", time.Minute, transactionOtherProducer},
		{"request_reply", 2 * time.Minute, requestReply},
		{"request_timeout", time.Minute, requestTimeout},
		{"push_long_polling", time.Minute, pushLongPolling},
		{"push_concurrent", time.Minute, pushConcurrent},
		{"push_broadcast", time.Minute, pushBroadcast},
		{"push_tag_filter", time.Minute, pushTagFilter},
		{"push_sql_filter", time.Minute, pushSqlFilter},
		{"pull_sql_filter", time.Minute, pullSqlFilter},
		{"push_from_where", time.Minute, pushFromWhere},
		{"push_vip_channel", time.Minute, pushVipChannel},
		{"topics_auto_create", time.Minute, topicsAutoCreate},
		{"send_sync", time.Minute, sendSync},
		{"send_async", time.Minute, sendAsync},
		{"send_oneway", time.Minute, sendOneway},
		{"send_batch", time.Minute, sendBatch},
		{"send_to_queue", time.Minute, sendToQueue},
		{"pull_from", time.Minute, pullFrom},
		{"pull_poll", time.Minute, pullPoll},
		{"body_every_byte", time.Minute, bodyEveryByte},
		{"body_sizes", time.Minute, bodySizes},
		{"body_limit", time.Minute, bodyLimit},
		{"body_compressed", time.Minute, bodyCompressed},
		{"properties_unicode", time.Minute, propertiesUnicode},
	}
	return all
}

// failure is what a failed check panics with.
type failure string

func fail(format string, args ...interface{}) {
	panic(failure(fmt.Sprintf(format, args...)))
}

func check(condition bool, format string, args ...interface{}) {
	if !condition {
		fail(format, args...)
	}
}

func must(err error, what string) {
	if err != nil {
		fail("%s: %v", what, err)
	}
}

// eventually waits until the condition is met.
func eventually(limit time.Duration, what string, met func() bool) {
	deadline := time.Now().Add(limit)
	for !met() {
		check(time.Now().Before(deadline), "not within %v: %s", limit, what)
		time.Sleep(20 * time.Millisecond)
	}
}

// runOne returns the reason of the failure, or nothing.
func runOne(item scenario, s *scope) string {
	done := make(chan string, 1)
	go func() {
		defer func() {
			if reason := recover(); reason != nil {
				done <- fmt.Sprint(reason)
			}
		}()
		item.run(s)
		s.close()
		done <- ""
	}()
	select {
	case reason := <-done:
		return strings.Join(strings.Fields(reason), " ")
	case <-time.After(item.limit):
		return fmt.Sprintf("not done after %v", item.limit)
	}
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "traffic" {
		runTraffic(os.Args[2:])
		return
	}
	namesrv := flag.String("n", "", "nameserver address")
	brokers := flag.String("brokers", "", "addresses of the masters")
	only := flag.String("only", "", "names of scenarios")
	threads := flag.Int("threads", 4, "scenarios at a time")
	log := flag.String("log", "", "file for the client's log")
	flag.Parse()
	rlog.SetLogLevel("error")
	if *log != "" {
		must(rlog.SetOutputPath(*log), "log file")
	}
	run := strconv.FormatInt(time.Now().UnixMilli()%100_000_000, 36) +
		strconv.FormatInt(int64(os.Getpid()), 36)
	wanted := map[string]bool{}
	for _, name := range strings.Split(*only, ",") {
		if name != "" {
			wanted[name] = true
		}
	}
	var group sync.WaitGroup
	var print sync.Mutex
	passed, failed := 0, 0
	slots := make(chan struct{}, *threads)
	for _, item := range scenarios() {
		if len(wanted) > 0 && !wanted[item.name] {
			continue
		}
		item := item
		group.Add(1)
		slots <- struct{}{}
		go func() {
			defer group.Done()
			began := time.Now()
			s := newScope(*namesrv, strings.Split(*brokers, ","), "go_"+run+"_"+item.name)
			reason := runOne(item, s)
			<-slots
			print.Lock()
			defer print.Unlock()
			if reason == "" {
				passed++
				fmt.Printf("ok %s (%.1f s)\n", item.name, time.Since(began).Seconds())
			} else {
				failed++
				fmt.Printf("FAIL %s %s\n", item.name, reason)
			}
		}()
	}
	group.Wait()
	fmt.Printf("%d passed, %d failed\n", passed, failed)
	if failed > 0 || passed == 0 {
		os.Exit(1)
	}
}
