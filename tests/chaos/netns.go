package chaos

import (
	"fmt"
	"hash/fnv"
	"os"
	"os/exec"
	"strings"
)

// netns is a network namespace with one line to this one, whose address can change as a
// laptop's does between networks.
type netns struct {
	name      string
	host      string // address of this end
	addresses [2]string
	current   int
}

// NamespacesWork says whether network namespaces can be made here, and if not, why.
func NamespacesWork() error {
	if os.Getuid() != 0 {
		return fmt.Errorf("only root can make network namespaces")
	}
	for _, program := range []string{"ip", "nsenter"} {
		if _, err := exec.LookPath(program); err != nil {
			return err
		}
	}
	ns, err := newNetns("probe")
	if err != nil {
		return err
	}
	ns.close()
	return nil
}

// newNetns makes a namespace. The salt keeps those of one process apart.
func newNetns(salt string) (*netns, error) {
	h := fnv.New32a()
	fmt.Fprint(h, os.Getpid(), salt)
	id := h.Sum32()
	subnet := fmt.Sprintf("10.%d.%d.", 64+id>>8%64, id%256)
	ns := &netns{
		name:      fmt.Sprintf("chaos%08x", id),
		host:      subnet + "1",
		addresses: [2]string{subnet + "2", subnet + "3"},
	}
	outside, inside := fmt.Sprintf("ch%08xo", id), fmt.Sprintf("ch%08xi", id)
	err := ip("netns add "+ns.name,
		fmt.Sprintf("link add %s type veth peer name %s netns %s", outside, inside, ns.name),
		fmt.Sprintf("addr add %s/24 dev %s", ns.host, outside),
		"link set "+outside+" up",
		"-n "+ns.name+" link set lo up",
		fmt.Sprintf("-n %s link set %s name eth0", ns.name, inside),
		fmt.Sprintf("-n %s addr add %s/24 dev eth0", ns.name, ns.addresses[0]),
		"-n "+ns.name+" link set eth0 up")
	if err != nil {
		ns.close()
		return nil, err
	}
	return ns, nil
}

// close takes the pair of interfaces with it.
func (ns *netns) close() { ip("netns del " + ns.name) }

// command is a command line within the namespace. (ip netns exec would also unshare the
// mounts, and nobody outside could see what is mounted.)
func (ns *netns) command(args []string) []string {
	return append([]string{"nsenter", "--net=/run/netns/" + ns.name, "--"}, args...)
}

// move takes the address away and gives another one after a while.
func (ns *netns) move(meanwhile func()) error {
	old := ns.addresses[ns.current]
	ns.current = 1 - ns.current
	if err := ip(fmt.Sprintf("-n %s addr del %s/24 dev eth0", ns.name, old)); err != nil {
		return err
	}
	meanwhile()
	return ip(fmt.Sprintf("-n %s addr add %s/24 dev eth0", ns.name, ns.addresses[ns.current]))
}

func ip(commands ...string) error {
	for _, c := range commands {
		if out, err := exec.Command("ip", strings.Fields(c)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", c, err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}
