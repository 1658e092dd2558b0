/* One function for each CUDA entry point of symbols.def (x86-64, System V ABI). Each jumps through its slot. The slot leads
 * to resolve at first, which has cuda_shim_resolve look the function up, fill the slot, and hand its address back: the jump
 * is then made with every argument register as the caller left it. */
.text

.set place, 0
.macro trampoline name
.globl \name
.hidden \name
.type \name, @function
\name:
	endbr64
	jmp *slot_\name(%rip)
resolve_\name:
	pushq $place
	jmp resolve
.size \name, . - \name
.pushsection .data
slot_\name:
	.quad resolve_\name
.popsection
.set place, place + 1
.endm

.pushsection .data
.p2align 3
.globl cuda_shim_slots
.hidden cuda_shim_slots
cuda_shim_slots:
.popsection

#define SYMBOL(library, name) trampoline name
#include "symbols.def"

/* On the stack: the place, then the caller's return address. Nine pushes and 136 bytes keep the call aligned by 16. */
resolve:
	pushq %rdi
	pushq %rsi
	pushq %rdx
	pushq %rcx
	pushq %r8
	pushq %r9
	pushq %rax
	subq $136, %rsp
	movups %xmm0, 0(%rsp)
	movups %xmm1, 16(%rsp)
	movups %xmm2, 32(%rsp)
	movups %xmm3, 48(%rsp)
	movups %xmm4, 64(%rsp)
	movups %xmm5, 80(%rsp)
	movups %xmm6, 96(%rsp)
	movups %xmm7, 112(%rsp)
	movq 192(%rsp), %rdi
	call cuda_shim_resolve
	movq %rax, %r11
	movups 0(%rsp), %xmm0
	movups 16(%rsp), %xmm1
	movups 32(%rsp), %xmm2
	movups 48(%rsp), %xmm3
	movups 64(%rsp), %xmm4
	movups 80(%rsp), %xmm5
	movups 96(%rsp), %xmm6
	movups 112(%rsp), %xmm7
	addq $136, %rsp
	popq %rax
	popq %r9
	popq %r8
	popq %rcx
	popq %rdx
	popq %rsi
	popq %rdi
	addq $8, %rsp
	jmp *%r11

.section .note.GNU-stack,"",@progbits
