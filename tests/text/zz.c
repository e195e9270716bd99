#include "text_util.h"
#include "base/host.h"
#include "base/mem.h"
typedef struct { tokenizer*t; encoding e[4]; char s[80][100][65]; } zz;
static void go(void*arg,int64_t i,int th){ zz*z=arg; text x={0}; static const encode_options o={0};
  for (int k=0;k<100;k++){ random_text(&x,(uint64_t)i%10*100+k); sha256 s; sha256_begin(&s);
    CHECK_OK(tokenizer_encode(z->t,(str){x.p,x.n},(str){0},&o,&z->e[th],err)); add_encoding(&s,&z->e[th],(str){x.p,x.n},(str){0}); sum_text(&s,z->s[i][k]); } text_free(&x);}
TEST(zz_pool){ for(int th=1;th<=4;th+=3){ static zz z; memset(&z,0,sizeof z); z.t=load_small("added"); pool*p=pool_new(th); pool_run(p,80,go,&z);
 int bad=0; for(int i=10;i<80;i++)for(int k=0;k<100;k++) if(strcmp(z.s[i][k],z.s[i%10][k])){bad++; if(bad<5)printf("%d threads: i %d k %d\n",th,i,k);} printf("%d threads %d bad\n",th,bad);} }
