package scenario
import ("testing";"path/filepath";"math")
func TestDbg(t *testing.T){
 fs,_:=filepath.Glob("../scenarios/*.toml")
 for _,f:=range fs { s,err:=Load(f); if err!=nil{t.Fatal(err)}
 if s.Duration>span(6100e9) {continue}
 r:=s.Run(1,nil); a,b:=r.Coverage()
 if a!=b { t.Log(s.Name,a,a-b, float64(b)/float64(a))
 for _,h:=range r.Hosts{ for _,id:=range h.Clocks(){ n,first,last:=0,0,0
 for i,x:=range h.Samples(id) { if x.Bounded && math.Abs(x.Error)>float64(x.MaxError) {n++; last=i; if first==0{first=i; t.Log("   ",id,i,x.Error,x.MaxError)}}}
 if n>0 {t.Log("   ",h.Name(),id,n,first,last)} }}
 }}
 s,err:=Load("../scenarios/ntp-dead-server.toml"); if err!=nil{t.Fatal(err)}
 r:=s.Run(6,nil)
 for _,h:=range r.Hosts{
 for _,e:=range h.Log(){t.Log(e.Time,e.Text)}
 }
}
